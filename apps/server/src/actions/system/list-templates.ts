import { createHash } from 'node:crypto';
import { idPrefixes, isId, Problem, type TemplateId } from '@skerry/model';
import type { Template } from '@skerry/protocol';
import type { Core } from '../../core.ts';

/** What sandboxes can be made from: for now, one template for each image of the backend. */
export async function listTemplates(core: Core): Promise<Template[]> {
  const { images } = await core.facts.get();
  return images.map((image) => ({
    id: templateId(image.name),
    name: image.name,
    image: image.name,
    imageKey: image.key,
    sizeBytes: image.sizeBytes,
    user: image.user,
    workdir: image.workdir,
  }));
}

/** The id of a template that nobody made: the same for the same name, always. */
function templateId(name: string): TemplateId {
  const number = BigInt(`0x${createHash('sha256').update(name).digest('hex')}`);
  const id = `${idPrefixes.template}${number.toString(36).padStart(20, '0').slice(-20)}`;
  if (!isId('template', id)) throw new Problem('internal', `"${id}" is no template id`);
  return id;
}
