import { randomInt } from 'node:crypto';

const adjectives =
  'amber ample bold brave brisk calm clear cosy crisp deft eager early fair fine fleet fond fresh glad gold grand green happy jolly keen kind lively lucky mellow merry mild neat noble proud quick quiet rapid rosy sharp shiny silver sleek smart snug solid sunny swift tidy vivid warm wise'.split(
    ' ',
  );
const nouns =
  'anchor atoll auk beacon bay brook buoy cape cliff cod coral cove crab creek delta dune eider ferry fjord gale gannet gull harbor heron islet kelp lagoon loon marsh mist otter pebble petrel pier puffin reef ridge sail seal shoal shore skiff sound spray strait surf tern tide wave wharf'.split(
    ' ',
  );

/** A readable name for a sandbox that was given none, such as `brave-puffin-4821`. */
export function makeUpName(): string {
  return `${adjectives[randomInt(adjectives.length)]}-${nouns[randomInt(nouns.length)]}-${randomInt(1000, 10_000)}`;
}
