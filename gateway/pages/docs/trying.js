// What Swagger UI makes of a document, it sends: an example of a parameter is filled in,
// and an example of an idempotency key or of a proof is no good in a real request.

/**
 * Return the document as it is fit to be tried: examples of parameters are told and not
 * filled in, and there is no scheme that needs more than a value to be entered.
 */
export function fitForTrying(document) {
  const fit = structuredClone(document);
  const { parameters = {}, securitySchemes = {} } = fit.components ?? {};
  for (const operation of operations(fit)) {
    [].concat(operation.parameters ?? []).forEach(tellExample);
    operation.security = operation.security?.filter((needed) => !("dpop" in needed));
  }
  Object.values(parameters).forEach(tellExample);
  delete securitySchemes.dpop; // its proof is made anew for each request
  return fit;
}

function operations(document) {
  return Object.values(document.paths)
    .flatMap((path) => Object.values(path))
    .filter((member) => member.responses);
}

function tellExample(parameter) {
  if ("example" in parameter) {
    parameter.description = `${parameter.description ?? ""} Such as \`${parameter.example}\`.`;
    delete parameter.example;
  }
}
