export { createGvisorEngine, type GvisorEngineOptions } from './gvisor-engine.ts';
export {
  guestDestination,
  hostTasksLimit,
  openFilesLimit,
  processesPerUser,
  specVersion,
  volumeSlots,
} from './spec-format.ts';
