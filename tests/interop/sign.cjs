// Signs with HubSpot's own Node client. Reads a JSON object a line, writes a signature a line.
const { Signature } = require("@hubspot/api-client");
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const asked = JSON.parse(line);
  console.log(
    Signature.getSignature(asked.method, asked.version, {
      clientSecret: asked.secret,
      requestBody: asked.body,
      url: asked.uri,
      timestamp: asked.timestamp,
    }),
  );
});
