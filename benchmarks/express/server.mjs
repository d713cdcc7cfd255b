// Baseline `express`: what a Node developer would write from the quick starts of Express, HubSpot and
// Twilio, with the official clients as they come. No deadline, no log.
//
// Fair to it: only numbers that take calls, names cut to 24 characters, no error left unhandled.
import { Signature } from "@hubspot/api-client";
import express from "express";
import twilio from "twilio";

const secret = process.env.PEER_SECRET;
const accounts = JSON.parse(process.env.PEER_ACCOUNTS); // portal → SID of its sub-account
// Twilio's own limits (20 connections, of which 5 are kept) unless this is set, for `express-tuned`.
const connections = Number(process.env.PEER_CONNECTIONS) || undefined;
const client = twilio(process.env.PEER_SID, process.env.PEER_TOKEN, {
  maxSockets: connections,
  maxFreeSockets: connections,
  maxTotalSockets: connections,
});
client.api.baseUrl = process.env.PEER_CARRIER; // the one line that no quick start has

const app = express();
app.use(
  express.json({
    verify: (request, _response, body) => {
      request.rawBody = body.toString();
    },
  }),
);

function isFromHubSpot(request) {
  try {
    return Signature.isValid({
      signatureVersion: "v3",
      method: request.method,
      clientSecret: secret,
      url: `${request.protocol}://${request.get("host")}${request.originalUrl}`,
      requestBody: request.rawBody,
      timestamp: request.get("X-HubSpot-Request-Timestamp"),
      signature: request.get("X-HubSpot-Signature-v3"),
    });
  } catch {
    return false; // it throws where the timestamp is too old
  }
}

app.post("/hubspot/phone-numbers", async (request, response) => {
  if (!isFromHubSpot(request)) {
    response.sendStatus(401);
    return;
  }
  const sid = accounts[request.body.portalId];
  const numbers = await client.api.accounts(sid).incomingPhoneNumbers.list();
  response.json({
    phoneNumbers: numbers
      .filter((number) => number.capabilities?.voice && number.voiceReceiveMode !== "fax")
      .map((number) => ({
        e164PhoneNumber: number.phoneNumber,
        extension: null,
        friendlyName: (number.friendlyName ?? "").slice(0, 24),
      })),
  });
});

app.listen(Number(process.env.PORT), "127.0.0.1");
