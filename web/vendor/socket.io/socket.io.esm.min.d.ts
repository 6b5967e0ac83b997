// The type checker reads the declarations that the npm package carries; browsers never load this file.
export * from "socket.io-client";
