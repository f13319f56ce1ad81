package eventlog

// sysSeccomp is the number of seccomp(2), which package syscall lacks.
const sysSeccomp = 317
