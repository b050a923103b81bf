// Preact and its hooks under one name, with `html` for templates. Text in a template is always text.
import {h, render, Fragment} from "preact";
import htm from "htm";

export const html = htm.bind(h);
export {h, render, Fragment};
export {useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback, useId} from "preact/hooks";
