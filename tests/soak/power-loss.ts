/** Thirty power cuts; `SKERRY_POWER_SEED` repeats the draws of a run, `SKERRY_POWER_CUTS` changes the count. */
process.env['SKERRY_POWER_CUTS'] ??= '30';
await import('../e2e/power-loss.test.ts');
