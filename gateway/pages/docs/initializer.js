// The reference page: Swagger UI over the gateway's own document.
// Credentials that are entered stay in this page's memory, and are sent to this origin alone.

globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null, // its badge would tell another site of this one
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
