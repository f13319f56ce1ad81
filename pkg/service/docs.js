const element = (tag, text, name) => {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (name) e.className = name;
  return e;
};
fetch("/openapi.json").then(answer => answer.json()).then(api => {
  document.title = document.getElementById("title").textContent = api.info.title;
  const follow = schema => schema && schema.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema;
  const shape = (schema, depth = 0) => {
    schema = follow(schema) || {};
    const type = [].concat(schema.type || "any").filter(t => t !== "null").join(" or ");
    if (depth > 6) return type;
    if (type === "array") return [shape(schema.items, depth + 1)];
    if (!schema.properties) return schema.enum ? schema.enum.join(" | ") : type + (schema.format ? " (" + schema.format + ")" : "");
    return Object.fromEntries(Object.entries(schema.properties).map(([name, property]) =>
      [name + ((schema.required || []).includes(name) ? "" : "?"), shape(property, depth + 1)]));
  };
  const main = document.getElementById("operations");
  for (const [path, methods] of Object.entries(api.paths)) for (const [method, operation] of Object.entries(methods)) {
    const details = element("details"), summary = element("summary");
    summary.append(element("span", method.toUpperCase(), "method " + method), element("code", path), " ", element("span", operation.summary || "", "muted"));
    details.append(summary);
    for (const p of operation.parameters || []) {
      details.append(element("div", p.in + " " + p.name + (p.required ? "" : "?") + ": " + JSON.stringify(shape(p.schema)) + (p.description ? ": " + p.description : "")));
    }
    const body = operation.requestBody && operation.requestBody.content["application/json"];
    if (body) details.append(element("div", "Body"), element("pre", JSON.stringify(shape(body.schema), null, 2)));
    for (const [status, answer] of Object.entries(operation.responses || {})) {
      const content = answer.content && Object.values(answer.content)[0];
      details.append(element("div", status + " " + (answer.description || "")));
      if (content && content.schema) details.append(element("pre", JSON.stringify(shape(content.schema), null, 2)));
    }
    main.append(details);
  }
});
