package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what this process has used so far.
type usage struct {
	at     time.Time
	cpu    time.Duration
	allocs uint64
	bytes  uint64
}

func usageNow() usage {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // a wrong argument, which it is not
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{time.Now(), time.Duration(r.Utime.Nano() + r.Stime.Nano()), m.Mallocs, m.TotalAlloc}
}

func (u usage) since(before usage) usage {
	return usage{u.at, u.cpu - before.cpu, u.allocs - before.allocs, u.bytes - before.bytes}
}

// treeCPU is the CPU time that a process and its children have used, those that have
// ended too.
func treeCPU(pid int) (time.Duration, error) {
	own, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	ticks := own.cpu + own.endedCPU
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range all {
		child, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return 0, err
		}
		if s, err := statOf(child); err == nil && s.parent == pid { // else it has ended meanwhile
			ticks += s.cpu
		}
	}
	const perSecond = 100 // on every Linux that Go runs on
	return time.Duration(ticks) * time.Second / perSecond, nil
}

func parentOf(pid int) (int, error) {
	s, err := statOf(pid)
	return s.parent, err
}

// stat is what the system tells of a process; times in ticks.
type stat struct {
	parent        int
	cpu, endedCPU int64 // of itself, and of its children that have ended
}

func statOf(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The name, in parentheses, may have anything in it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	var n [15]int64
	for i := range n {
		n[i], _ = strconv.ParseInt(fields[i], 10, 64) // the first is a letter
	}
	return stat{parent: int(n[1]), cpu: n[11] + n[12], endedCPU: n[13] + n[14]}, nil
}

// residentMB is the memory of this process that is in RAM, as the system counts it.
func residentMB() (float64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(data), "VmRSS:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); !ok || err != nil {
		return 0, fmt.Errorf("no VmRSS in /proc/self/status")
	}
	return kb / 1024, nil
}
