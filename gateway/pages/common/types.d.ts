/** What the modules of all pages hand each other. Nothing of it is there at run time. */

/** By what a request is found in logs and traces. */
export interface Trail {
  traceId: string;
  requestId?: string | undefined;
  decisionId?: string | undefined;
}

/** Who asks, by a bearer token, or by an API key. */
export interface Credential {
  kind: "bearer" | "api-key";
  text: string;
}

/** One of google.rpc's details of an error. */
export interface Detail {
  "@type": string;
  fieldViolations?: { field: string; description: string }[];
}
