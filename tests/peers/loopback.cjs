// Loaded before a server that would listen on every interface: it listens on 127.0.0.1 only, on a
// port of PORT or one that the system chooses, and the line that tests wait for is printed for it.
"use strict";

const { Server } = require("node:net");

const listen = Server.prototype.listen;

Server.prototype.listen = function (...args) {
  const callback = args.find((arg) => typeof arg === "function");
  this.once("listening", () => {
    process.stdout.write(`listening on http://127.0.0.1:${this.address().port}/mcp\n`);
  });
  return listen.call(this, { host: "127.0.0.1", port: Number(process.env.PORT ?? 0) }, callback);
};
