import { readFile } from 'node:fs/promises';

/**
 * Words of `flags` that the kernel makes up about itself, its mitigations and its hypervisor. No program can depend on them, and another kernel
 * on the same processor may lack them.
 */
const kernelsOwn = new Set(
  (
    'constant_tsc up art arch_perfmon pebs bts syscall32 sysenter32 rep_good amd_lbr_v2 acc_power nopl always xtopology tsc_reliable nonstop_tsc cpuid ' +
    'extd_apicid amd_dcm aperfmperf rapl nonstop_tsc_s3 tsc_known_freq ring3mwait cpuid_fault cpb epb cat_l3 cat_l2 cdp_l3 cdp_l2 ' +
    'tdx_host_platform hw_pstate proc_feedback xcompacted pti intel_ppin msr_spec_ctrl ssbd mba rsb_ctxsw perfmon_v2 ibrs ibpb stibp zen ' +
    'ibrs_enhanced tpr_shadow flexpriority ept vpid vnmi vmmcall ept_ad vmcall vmw_vmmcall pvunlock vcpupreempt tdx_guest hypervisor ' +
    'lfence_rdtsc cqm_llc cqm_occup_llc cqm_mbm_total cqm_mbm_local fence_swapgs_user fence_swapgs_kernel split_lock_detect bhi_ctrl arat ' +
    'flush_l1d arch_capabilities md_clear'
  ).split(' '),
);

/** What this machine's processor can do, sorted; from the text of `/proc/cpuinfo`. The first processor speaks for all. */
export function readCpuFeatures(cpuinfo: string): string[] {
  const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? '';
  return line
    .split(/\s+/)
    .filter((word) => word !== '' && !kernelsOwn.has(word))
    .toSorted();
}

let found: Promise<readonly string[]> | undefined;

/** What this machine's processor can do, sorted. */
export async function cpuFeatures(): Promise<readonly string[]> {
  found ??= readFile('/proc/cpuinfo', 'utf8').then(readCpuFeatures);
  return found;
}
