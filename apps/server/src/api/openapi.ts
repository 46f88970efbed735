import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { ExecBody, ExecResultSchema, LabelsSchema } from '@skerry/protocol';
import type { FastifySchema } from 'fastify';
import type { App } from './app.ts';

/** What the document says beside the routes. */
export const openapiInfo: FastifyDynamicSwaggerOptions = {
  // The plugin drops `$id`; an extension carries the names through it.
  transform: ({ schema, url }) => ({ schema: markNames(toJson(schema)) as FastifySchema, url }),
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Skerry',
      version: 'v1',
      description: 'Isolated computers for AI agents. The rules that a schema cannot say are in docs/api.md.',
    },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key.' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
    },
    security: [{ bearer: [] }, { apiKey: [] }],
  },
};

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** The whole document: what the server's routes are, and those that the gateway answers. */
export function openapiDocument(app: App): JsonObject {
  const document = toJson(app.swagger()) as JsonObject;
  const named: Record<string, Json> = {};
  const routes = { ...(document['paths'] as JsonObject), ...(markNames(toJson(gatewayPaths)) as JsonObject) };
  const paths = nameSchemas(routes, named);
  const components = document['components'] as JsonObject;
  const schemas = Object.fromEntries(Object.entries(named).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...document, components: { ...components, schemas }, paths };
}

/** The document as it is committed. */
export function openapiText(app: App): string {
  return `${JSON.stringify(openapiDocument(app), null, 2)}\n`;
}

function toJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

const nameMark = 'x-schema-name';

function markNames(value: Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => markNames(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key === '$id' ? nameMark : key, markNames(child)]),
  );
}

/** Moves every schema that has a name to the components and refers to it. */
function nameSchemas(value: Json, named: Record<string, Json>): Json {
  if (Array.isArray(value)) return value.map((item: Json) => nameSchemas(item, named));
  if (typeof value !== 'object' || value === null) return value;
  const { [nameMark]: name, ...rest } = value as JsonObject;
  const inner = Object.fromEntries(Object.entries(rest).map(([key, child]) => [key, nameSchemas(child, named)]));
  if (typeof name !== 'string') return inner;
  named[name] = inner;
  return { $ref: `#/components/schemas/${name}` };
}

const problem = {
  description: 'A problem.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};
const problems = { '4XX': problem, '5XX': problem };
const bytes = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
const sandbox = { name: 'sandbox', in: 'path', required: true, description: 'Id or name.', schema: { type: 'string' } };
const path = {
  name: 'path',
  in: 'query',
  required: true,
  description: 'Absolute, or in the home of the user.',
  schema: { type: 'string' },
};
const user = { name: 'user', in: 'query', required: false, schema: { type: 'string' } };
const flag = (name: string, description: string) => ({
  name,
  in: 'query',
  required: false,
  description,
  schema: { type: 'boolean' },
});

const fileItem = {
  type: 'object',
  required: ['name', 'path', 'type', 'size', 'mode', 'owner', 'group', 'modifiedAt'],
  properties: {
    name: { type: 'string' },
    path: { type: 'string' },
    type: { type: 'string', enum: ['file', 'directory', 'symlink', 'other'] },
    size: { type: 'integer' },
    mode: { type: 'integer' },
    owner: { type: 'string' },
    group: { type: 'string' },
    modifiedAt: { type: 'string', format: 'date-time' },
    target: { type: 'string' },
    metadata: LabelsSchema,
  },
};

/** Routes that the gateway answers; the server never talks to a guest. */
const gatewayPaths = {
  '/v1/sandboxes/{sandbox}/exec': {
    post: {
      operationId: 'exec',
      summary: 'Runs a command in a sandbox; a stream with "Accept: application/x-ndjson"',
      tags: ['sandboxes'],
      parameters: [sandbox],
      requestBody: { required: true, content: { 'application/json': { schema: ExecBody } } },
      responses: {
        200: {
          description: 'The result, or a stream of events.',
          content: {
            'application/json': { schema: ExecResultSchema },
            'application/x-ndjson': { schema: { type: 'string' } },
          },
        },
        ...problems,
      },
    },
  },
  '/v1/sandboxes/{sandbox}/files': {
    get: {
      operationId: 'readFile',
      summary: 'Reads a file, or lists a folder',
      tags: ['sandboxes'],
      parameters: [sandbox, path, user, flag('list', 'Lists the folder.')],
      responses: {
        200: {
          description: 'The bytes of the file, or the items of the folder.',
          content: {
            ...bytes,
            'application/json': {
              schema: {
                type: 'object',
                required: ['items'],
                properties: { items: { type: 'array', items: fileItem } },
              },
            },
          },
        },
        ...problems,
      },
    },
    put: {
      operationId: 'writeFile',
      summary: 'Writes a file from the raw body, and makes its folders',
      tags: ['sandboxes'],
      parameters: [sandbox, path, user],
      requestBody: { required: true, content: bytes },
      responses: { '2XX': { description: 'It is written.' }, ...problems },
    },
    delete: {
      operationId: 'removeFile',
      summary: 'Removes a file or a folder',
      tags: ['sandboxes'],
      parameters: [sandbox, path, user, flag('recursive', 'Removes a folder with all that is in it.')],
      responses: { '2XX': { description: 'It is gone.' }, ...problems },
    },
  },
};
