// JSON Schemas of inputs as fields of a form, and what was typed as JSON text. No markup, no state.

const DEEPEST = 8;
const DEEPEST_GROUP = 3;

/**
 * Return the fields of an input's schema, null if it is no object with named properties:
 * [{name, path, hint, required, kind, options, placeholder, fields}]; `kind` is "text", "number", "boolean", "choice",
 * "datetime", "secret", "json" or "group", which has fields of its own. `path` is the JSON pointer without its first slash.
 */
export function fieldsOf(schema) {
  return membersOf(resolved(schema, schema), schema, "", 0);
}

function membersOf(schema, root, above, depth) {
  const properties = schema?.properties;
  if (!properties || typeof properties !== "object" || !Object.keys(properties).length || depth > DEEPEST_GROUP) return null;
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  return Object.entries(properties).map(([name, given]) => field(name, given, root, {required: required.has(name), above, depth}));
}

function field(name, given, root, {required, above, depth}) {
  const {schema, nullable} = plain(given, root);
  const about = {...schema, ...(given && typeof given === "object" ? pick(given, ["title", "description", "default"]) : {})};
  const options = Array.isArray(schema.enum) && schema.enum.length <= 200 ? schema.enum : "const" in schema ? [schema.const] : null;
  const path = `${above}${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  const fields = options ? null : membersOf(schema, root, `${path}/`, depth + 1);
  return {
    name,
    path,
    required,
    fields,
    kind: fields ? "group" : kindOf(schema, options),
    options,
    hint: [text(about.description), !fields && typeSaid(schema, nullable), limits(schema)].filter(Boolean).join(" · "),
    placeholder: "default" in about ? JSON.stringify(about.default) : "",
    skeleton: "default" in about ? JSON.stringify(about.default, null, 2) : example(schema, root, 0),
  };
}

function kindOf(schema, options) {
  if (options) return "choice";
  if (schema.type === "boolean") return "boolean";
  if (schema.type === "integer" || schema.type === "number") return "number";
  if (schema.type === "string") return schema.format === "password" ? "secret" : schema.format === "date-time" ? "datetime" : "text";
  return "json";
}

function typeSaid(schema, nullable) {
  const type = text(schema.type) || (schema.enum ? "choice" : "any");
  const inside = schema.type === "array" && text(schema.items?.type) ? ` of ${schema.items.type}` : "";
  return `${type}${inside}${schema.format ? ` (${text(schema.format)})` : ""}${nullable ? " or null" : ""}`;
}

function limits(schema) {
  const said = [
    ["minimum", "at least"], ["exclusiveMinimum", "more than"], ["maximum", "at most"], ["exclusiveMaximum", "less than"],
    ["minLength", "characters at least"], ["maxLength", "characters at most"], ["minItems", "items at least"], ["maxItems", "items at most"],
  ].filter(([key]) => typeof schema[key] === "number").map(([key, words]) => `${words} ${schema[key]}`);
  return said.join(", ");
}

/** Follow references and take "or null" away. */
function plain(given, root) {
  let schema = resolved(given, root) ?? {};
  const forms = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(forms)) {
    const some = forms.filter((each) => each?.type !== "null");
    if (some.length === 1) return {schema: resolved(some[0], root) ?? {}, nullable: some.length < forms.length};
    return {schema: {...schema, type: undefined}, nullable: some.length < forms.length};
  }
  if (Array.isArray(schema.type)) {
    const some = schema.type.filter((each) => each !== "null");
    const nullable = some.length < schema.type.length;
    schema = {...schema, type: some.length === 1 ? some[0] : undefined};
    return {schema, nullable};
  }
  return {schema, nullable: false};
}

function resolved(schema, root) {
  let found = schema;
  for (let step = 0; step < DEEPEST && typeof found?.$ref === "string"; step += 1) {
    const path = found.$ref.startsWith("#/") ? found.$ref.slice(2).split("/") : [];
    found = path.reduce((at, part) => (at && typeof at === "object" && Object.hasOwn(at, unescaped(part)) ? at[unescaped(part)] : undefined), root);
  }
  return found && typeof found === "object" && !Array.isArray(found) ? found : null;
}

const unescaped = (part) => part.replaceAll("~1", "/").replaceAll("~0", "~");

/** A value to begin with, as JSON text: what must be there, empty. */
function example(given, root, depth) {
  return JSON.stringify(value(given, root, depth), null, 2);
}

function value(given, root, depth) {
  const {schema, nullable} = plain(given, root);
  if (given && typeof given === "object" && "default" in given) return given.default;
  if (schema.enum?.length) return schema.enum[0];
  if (depth > DEEPEST || nullable) return null;
  if (schema.type === "object") {
    const required = Array.isArray(schema.required) ? schema.required : [];
    return Object.fromEntries(required.slice(0, 50).map((name) => [name, value(schema.properties?.[name], root, depth + 1)]));
  }
  return {array: [], string: "", integer: 0, number: 0, boolean: false}[schema.type] ?? null;
}

/** Return the whole input to begin with, as JSON text. */
export function skeleton(schema) {
  return schema ? example(schema, schema, 0) : "{}";
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** Return {text, errors} of the JSON object that fields and what was typed in them make; `errors` by path. */
export function collected(fields, values) {
  const members = [];
  const errors = {};
  for (const each of fields) {
    const found = each.fields ? collected(each.fields, values) : typed(each, values[each.path]);
    Object.assign(errors, found.errors);
    if (found.error) errors[each.path] = found.error;
    else if (found.text !== undefined && (!each.fields || found.text !== "{}" || each.required)) members.push([each.name, found.text]);
  }
  return {text: object(members), errors};
}

/** What a form begins with, by path: the frame of what must be given as JSON. */
export function begun(fields) {
  return Object.assign({}, ...fields.map((each) => (
    !each.required ? {} : each.fields ? begun(each.fields) : each.kind === "json" ? {[each.path]: each.skeleton} : {})));
}

/**
 * Return {text} with the JSON text of one field's value, {} if nothing was typed, or {error}. Numbers stay as they were
 * typed: what is too large for this browser is not for the program.
 */
function typed(field, given) {
  if (given === undefined || given === "") return field.required && field.kind === "text" && given === "" ? {text: '""'} : {};
  if (field.kind === "boolean") return {text: given === true || given === "true" ? "true" : "false"};
  if (field.kind === "choice") return {text: JSON.stringify(field.options[Number(given)] ?? null)};
  if (field.kind === "number") return {text: NUMBER.test(given.trim()) ? given.trim() : JSON.stringify(given)};
  if (field.kind === "datetime") return {text: JSON.stringify(new Date(given).toISOString())};
  if (field.kind !== "json") return {text: JSON.stringify(given)};
  return checked(given);
}

/** Return {text} if a text is JSON, {error} if it is not. */
export function checked(given) {
  try {
    JSON.parse(given);
    return {text: given};
  } catch (error) {
    return {error: `This is no JSON: ${error.message}`};
  }
}

/** Return a JSON object's text from [[name, text of the value]]. */
export function object(members) {
  return `{${members.map(([name, said]) => `${JSON.stringify(name)}: ${said}`).join(", ")}}`;
}

function text(given) {
  return typeof given === "string" ? given : "";
}

function pick(from, names) {
  return Object.fromEntries(names.filter((name) => name in from).map((name) => [name, from[name]]));
}
