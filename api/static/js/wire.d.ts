// What comes over the wire: api/schemas, in the checker's words. A test holds the two against each other.

export type Box = [x0: number, y0: number, x1: number, y1: number];
export type QuoteStatus = "exact" | "fuzzy" | "visual" | "unverified";
export type AnswerStatus = "answered" | "partial" | "not_found" | "blocked";

export interface Listed<Item> {
  object: "list";
  data: Item[];
  has_more: boolean;
  last_id: string | null;
}

export interface Failure {
  code: string;
  message: string;
}

export interface Progress {
  done: number;
  total: number;
}

export interface CollectionOut {
  object: "collection";
  id: string;
  name: string;
  created: string;
  channels: string[];
  documents: number;
}

export interface DocumentOut {
  object: "document";
  id: string;
  collection: string;
  filename: string;
  sha256: string | null;
  version: number;
  status: string;
  pages: number;
  page_problems: number;
  created: string;
  metadata: Record<string, unknown>;
  coverage: Record<string, Progress>;
  error: Failure | null;
}

export interface Uploaded {
  document: DocumentOut;
  duplicate: boolean;
  job: string | null;
}

export interface PageOut {
  object: "page";
  number: number;
  width: number;
  height: number;
  words: number;
  word_source: "text-layer" | "ocr" | "none";
  flags: string[];
  error: Failure | null;
  image_url: string;
}

export interface WordOut {
  text: string;
  box: Box;
  line: number;
  block: number;
}

export interface PageText {
  document: string;
  version: number;
  page: number;
  word_source: "text-layer" | "ocr" | "none";
  text: string;
  words: WordOut[] | null;
}

export interface DocumentName {
  id: string;
  filename: string;
  pages: number;
}

export interface Score {
  rank: number;
  score: number;
}

export interface RegionOut {
  box: Box;
  score: number;
  kind: "text_match" | "similarity";
}

export interface Hit {
  rank: number;
  document: DocumentName;
  version: number;
  page: number;
  score: number;
  scores: Record<string, Score>;
  snippet: string;
  regions: RegionOut[];
  image_url: string;
}

export interface SimilarityOut {
  object: "similarity_map";
  kind: "similarity";
  document: string;
  version: number;
  page: number;
  channel: string;
  query: string;
  word: string | null;
  tokens: { text: string; asked: boolean }[];
  rows: number;
  cols: number;
  low: number;
  high: number;
  heat: number[][];
  regions: RegionOut[];
}

export interface SearchOut {
  query: string;
  hits: Hit[];
  timings: Record<string, number>;
  coverage: Record<string, Progress>;
  notes: string[];
}

export interface CitationOut {
  index: number;
  document: DocumentName;
  version: number;
  page: number;
  quote: string;
  quote_status: QuoteStatus;
  moved: boolean;
  boxes: Box[];
  union_box: Box | null;
  image_url: string;
  view_url: string;
}

export interface QuoteOut {
  quote: string;
  quote_status: QuoteStatus;
  boxes: Box[];
}

export interface SegmentOut {
  text: string;
  citations: number[];
}

export interface AnswerOut {
  object: "answer";
  id: string;
  question: string;
  query: string;
  status: AnswerStatus;
  text: string;
  segments: SegmentOut[];
  citations: CitationOut[];
  pages_used: Hit[];
  confidence: number | null;
  usage: Record<string, number>;
  warnings: string[];
  model: string;
  took_ms: number;
  cut: boolean;
}

export interface ConversationOut {
  object: "conversation";
  id: string;
  collection: string;
  title: string;
  created: string;
  updated: string;
}

export interface TurnOut {
  id: string;
  question: string;
  answer: AnswerOut | null;
  created: string;
}

export interface ConversationTurns {
  object: "conversation";
  id: string;
  collection: string;
  title: string;
  created: string;
  updated: string;
  turns: TurnOut[];
}

export interface AskCreated {
  id: string;
  question: string;
  collection: string;
}

export interface Delta {
  text: string;
}

export interface JobDocumentOut {
  document: string;
  version: number;
  filename: string;
  status: string;
  pages: number;
  error: Failure | null;
}

export interface JobProgress {
  id: string;
  state: "running" | "filling" | "done" | "cancelled";
  ready: number;
  failed: number;
  outstanding: number;
  pages: Progress;
  channels: Record<string, Progress>;
}

export interface Models {
  object: "list";
  data: { id: string }[];
  answering: string;
}

export interface Resubmitted {
  document: DocumentOut;
  version: number;
  job: string;
}

export interface StatusOut {
  object: "status";
  version: string;
  python: string;
  cores: number;
  model: { id: string; reason: string };
  channels: Record<string, Progress>;
  off: Record<string, string>;
  ocr: string;
  backlog: { documents: number; channels: number };
  fault: Failure | null;
  disk_free: number;
  database: string;
  vectors: string;
  files: string;
  needs_key: boolean;
}

export interface SettingOut {
  name: string;
  value: unknown;
  origin: string;
  about: string;
}

export interface ChannelOut {
  object: "channel";
  key: string;
  name: string;
  active: boolean;
  usable: boolean;
  coverage: Progress;
  bytes: number;
  encoder: string | null;
  fingerprint: Record<string, unknown> | null;
  problem: string | null;
}

export interface KeyOut {
  object: "key";
  id: string;
  name: string;
  scope: "read" | "write" | "admin";
  collections: string[] | null;
  created: string;
  expires: string | null;
  revoked: boolean;
  valid: boolean;
}

export interface MadeKey extends KeyOut {
  key: string;
}
