import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type EntryInfo, filesystemPaths } from '@skerry/protocol';
import { Problem } from '@skerry/model';
import type { GuestCall, GuestClient } from '../guest/guest-client.ts';
import { answerJson } from '../http/answers.ts';
import { hasBody } from '../http/headers.ts';
import type { FileQuery } from './file-query.ts';
import { fileItem, type FileItem } from './file-item.ts';

const passedRequestHeaders = ['range', 'if-range', 'if-none-match', 'if-modified-since'] as const;
const passedAnswerHeaders = ['content-length', 'content-range', 'accept-ranges', 'etag', 'last-modified'] as const;

/** Answers `GET`, `PUT` and `DELETE` of a sandbox's files. */
export async function serveFiles(
  guest: GuestClient,
  query: FileQuery,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const call: GuestCall = { ...(query.user === undefined ? {} : { user: query.user }), signal };
  if (request.method === 'PUT') answerJson(request, response, 200, await writeFile(guest, query, request, call));
  else if (request.method === 'DELETE') answerJson(request, response, 200, await removeFile(guest, query, call));
  else if (query.list) answerJson(request, response, 200, { items: await listFolder(guest, query, call) });
  else await readFile(guest, query, request, response, call);
}

async function readFile(
  guest: GuestClient,
  query: FileQuery,
  request: IncomingMessage,
  response: ServerResponse,
  call: GuestCall,
): Promise<void> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  for (const name of passedRequestHeaders) {
    const value = request.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  const answer = await guest.files('GET', filesQuery(query), headers, undefined, call);
  const passed: Record<string, string> = {};
  for (const name of passedAnswerHeaders) {
    const value = answer.headers[name];
    if (value !== undefined) passed[name] = value;
  }
  // What a sandbox holds must never run as a page of the API's own origin.
  response.writeHead(answer.statusCode ?? 200, {
    ...passed,
    'content-type': 'application/octet-stream',
    'x-content-type-options': 'nosniff',
    'content-security-policy': 'sandbox',
    'content-disposition': 'attachment',
  });
  await pipeline(answer, response);
}

async function writeFile(
  guest: GuestClient,
  query: FileQuery,
  request: IncomingMessage,
  call: GuestCall,
): Promise<unknown> {
  const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
  for (const name of ['content-length', 'content-encoding'] as const) {
    const value = request.headers[name];
    if (value !== undefined) headers[name] = value;
  }
  const bodied = hasBody(request);
  if (!bodied) headers['content-length'] = '0';
  const answer = await guest.files('POST', filesQuery(query), headers, bodied ? request : undefined, call);
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  const [written] = JSON.parse(Buffer.concat(chunks).toString()) as { readonly path: string; readonly name: string }[];
  return { path: written?.path ?? query.path, name: written?.name ?? '', type: 'file' };
}

async function removeFile(guest: GuestClient, query: FileQuery, call: GuestCall): Promise<FileItem> {
  const item = await stat(guest, query, call);
  if (item.type === 'directory' && !query.recursive)
    throw new Problem('invalid', `"${query.path}" is a folder`, {
      reason: 'is_a_directory',
      hint: 'Remove it and all in it with "recursive=true".',
    });
  await guest.unary(filesystemPaths.remove, { path: query.path }, call);
  return item;
}

async function listFolder(guest: GuestClient, query: FileQuery, call: GuestCall): Promise<FileItem[]> {
  try {
    const { entries } = (await guest.unary(filesystemPaths.listDir, { path: query.path, depth: 1 }, call)) as {
      readonly entries?: readonly EntryInfo[];
    };
    return (entries ?? []).map(fileItem);
  } catch (error) {
    throw missingFile(error, query.path);
  }
}

async function stat(guest: GuestClient, query: FileQuery, call: GuestCall): Promise<FileItem> {
  try {
    const { entry } = (await guest.unary(filesystemPaths.stat, { path: query.path }, call)) as {
      readonly entry: EntryInfo;
    };
    return fileItem(entry);
  } catch (error) {
    throw missingFile(error, query.path);
  }
}

function missingFile(error: unknown, path: string): unknown {
  if (error instanceof Problem && error.code === 'not_found')
    return new Problem('not_found', `There is no file "${path}" in the sandbox`, { reason: 'no_such_file' });
  return error;
}

function filesQuery({ path, user }: FileQuery): URLSearchParams {
  return new URLSearchParams({ path, ...(user === undefined ? {} : { username: user }) });
}
