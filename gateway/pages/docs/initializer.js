// The reference page: Swagger UI over the gateway's own document.
// Credentials that are entered stay in this page's memory, and are sent to this origin alone.

import { fitForTrying } from "./trying.js";

const Fitting = () => ({
  statePlugins: {
    spec: {
      wrapActions: {
        updateSpec: (update) => (text) =>
          update(JSON.stringify(fitForTrying(JSON.parse(text)))),
      },
    },
  },
});

globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  plugins: [Fitting],
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null, // its badge would tell another site of this one
  tryItOutEnabled: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
});
