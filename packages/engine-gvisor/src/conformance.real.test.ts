import { after } from 'node:test';
import { conformEngine } from '@skerry/engine/conformance';
import { makeHarness, removeTools } from './testing/harness.ts';

conformEngine('gVisor', makeHarness);
after(removeTools);
