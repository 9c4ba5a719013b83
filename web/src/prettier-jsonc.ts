// A prettier plugin which formats JSON with comments. GraphiQL asks prettier for the parser `jsonc`; this one is a
// few lines over jsonc-parser, which GraphiQL brings anyway.
import { applyEdits, format } from "jsonc-parser";

interface Whole {
  text: string;
}

export const parsers = {
  jsonc: {
    astFormat: "whole-jsonc",
    parse: (text: string): Whole => ({
      text: applyEdits(text, format(text, undefined, { insertSpaces: true, tabSize: 2, eol: "\n" })).trim(),
    }),
    locStart: () => 0,
    locEnd: (node: Whole) => node.text.length,
  },
};

export const printers = {
  "whole-jsonc": { print: (path: { node: Whole }) => path.node.text },
};

export default { parsers, printers };
