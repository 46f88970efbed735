export { createNetwork, type Network } from './network.ts';
