"""The messages of the Live API, as far as the emulator knows them.

Field names are those that google-genai sends to the Gemini Developer API. Where
a field's inside does not matter here, it is `struct` or `anything`.
"""

from __future__ import annotations

from emulator.schema import (
    Message,
    anything,
    boolean,
    bytes_,
    enum,
    int32,
    int64,
    number,
    repeated,
    string,
    struct,
    timestamp,
)

BLOB = Message({"mimeType": string, "data": bytes_, "displayName": string})

PART = Message(
    {
        "text": string,
        "inlineData": struct,
        "thought": boolean,
        "thoughtSignature": string,
        "fileData": struct,
        "functionCall": struct,
        "functionResponse": struct,
        "executableCode": struct,
        "codeExecutionResult": struct,
        "videoMetadata": struct,
        "mediaResolution": anything,
        "partMetadata": struct,
    }
)

CONTENT = Message({"parts": repeated(PART), "role": string})

TRANSCRIPTION = Message(
    {
        "languageCodes": repeated(string),
        "languageAuto": struct,
        "languageHints": struct,
        "customVocabulary": repeated(string),
        "adaptationPhrases": repeated(string),
        "wordTimestamp": boolean,
        "diarization": boolean,
        "mode": string,
    }
)

GENERATION_CONFIG = Message(
    {
        "candidateCount": int32,
        "enableAffectiveDialog": boolean,
        "frequencyPenalty": number,
        "maxOutputTokens": int32,
        "mediaResolution": string,
        "presencePenalty": number,
        "responseModalities": repeated(enum("GenerationConfig.Modality", "TEXT", "IMAGE", "AUDIO")),
        "seed": int32,
        "speechConfig": Message(
            {"voiceConfig": struct, "languageCode": string, "multiSpeakerVoiceConfig": struct}
        ),
        "stopSequences": repeated(string),
        "temperature": number,
        "thinkingConfig": Message(
            {
                "includeThoughts": boolean,
                "thinkingBudget": int32,
                "thinkingLevel": enum("ThinkingLevel", "MINIMAL", "LOW", "MEDIUM", "HIGH"),
            }
        ),
        "topK": number,
        "topP": number,
        "translationConfig": Message(
            {"echoTargetLanguage": boolean, "targetLanguageCode": string},
        ),
    }
)

TOOL = Message(
    {
        "functionDeclarations": repeated(struct),
        "googleSearch": struct,
        "googleSearchRetrieval": struct,
        "googleMaps": struct,
        "codeExecution": struct,
        "computerUse": struct,
        "fileSearch": struct,
        "urlContext": struct,
        "mcpServers": repeated(struct),
    }
)

SETUP = Message(
    {
        "model": string,
        "generationConfig": GENERATION_CONFIG,
        "systemInstruction": CONTENT,
        "tools": repeated(TOOL),
        "realtimeInputConfig": Message(
            {
                "automaticActivityDetection": Message(
                    {
                        "disabled": boolean,
                        "startOfSpeechSensitivity": string,
                        "endOfSpeechSensitivity": string,
                        "prefixPaddingMs": int32,
                        "silenceDurationMs": int32,
                    }
                ),
                "activityHandling": string,
                "turnCoverage": string,
            }
        ),
        "sessionResumption": Message({"handle": string}),
        "contextWindowCompression": Message(
            {"triggerTokens": int64, "slidingWindow": Message({"targetTokens": int64})}
        ),
        "inputAudioTranscription": TRANSCRIPTION,
        "outputAudioTranscription": TRANSCRIPTION,
        "proactivity": Message({"proactiveAudio": boolean, "proactiveVideo": boolean}),
        "historyConfig": Message({"initialHistoryInClientContent": boolean}),
        "avatarConfig": struct,
        "safetySettings": repeated(Message({"category": string, "threshold": string})),
        "labels": struct,
    }
)

CLIENT_MESSAGE = Message(
    {
        "setup": SETUP,
        "clientContent": Message({"turns": repeated(CONTENT), "turnComplete": boolean}),
        "realtimeInput": Message(
            {
                "mediaChunks": repeated(BLOB),
                "audio": BLOB,
                "video": BLOB,
                "text": string,
                "audioStreamEnd": boolean,
                "activityStart": struct,
                "activityEnd": struct,
            }
        ),
        "toolResponse": Message({"functionResponses": repeated(struct)}),
    }
)

AUTH_TOKEN = Message(
    {
        "uses": int32,
        "expireTime": timestamp,
        "newSessionExpireTime": timestamp,
        "bidiGenerateContentSetup": SETUP,
        "fieldMask": string,
    }
)
