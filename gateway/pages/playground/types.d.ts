/** What the modules of the page hand each other. Nothing of it is there at run time. */

/** Where the page talks to. */
export interface Places {
  api: string;
  liveUrl: string;
}

/** Any JSON object that a socket carries. */
export type Message = Record<string, unknown>;

/** Sound or a picture within a message, in base64. */
export interface Blob64 {
  mimeType: string;
  data: string;
}

/** What the model says, as far as the page shows it. */
export interface ServerMessage {
  setupComplete?: object;
  serverContent?: {
    modelTurn?: { parts?: { text?: string; inlineData?: Blob64; thought?: boolean }[] };
    inputTranscription?: { text?: string };
    outputTranscription?: { text?: string };
    turnComplete?: boolean;
    generationComplete?: boolean;
    interrupted?: boolean;
  };
  usageMetadata?: {
    promptTokenCount?: number;
    responseTokenCount?: number;
    totalTokenCount?: number;
  };
  goAway?: { timeLeft?: string };
  sessionResumptionUpdate?: { newHandle?: string; resumable?: boolean };
}

/** Why a socket is closed. */
export interface Closing {
  code: number;
  reason: string;
  /** Whether the page itself hung up. */
  ours: boolean;
}
