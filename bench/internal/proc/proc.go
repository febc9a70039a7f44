package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// TreeCPU is the CPU time that a process and its children have used, those that have
// ended too.
func TreeCPU(pid int) (time.Duration, error) {
	const perSecond = 100 // ticks, on every Linux that Go runs on
	for {
		own, err := statOf(pid)
		if err != nil {
			return 0, err
		}
		ticks := own.cpu + own.endedCPU
		children, err := childrenOf(pid)
		if err != nil {
			return 0, err
		}
		for _, child := range children {
			if s, err := statOf(child); err == nil { // else it has ended meanwhile
				ticks += s.cpu
			}
		}
		// One that ended meanwhile is in neither, or in both.
		if now, err := statOf(pid); err != nil || now.endedCPU == own.endedCPU {
			return time.Duration(ticks) * time.Second / perSecond, err
		}
	}
}

// ParentOf returns the ID of the process that started one.
func ParentOf(pid int) (int, error) {
	s, err := statOf(pid)
	return s.parent, err
}

// stat is what the system reports about a process; times in ticks.
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
