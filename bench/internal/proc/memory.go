package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// TreeMemory is what a process and all that descends from it have in RAM, in bytes.
// What several of them share is counted once.
func TreeMemory(pid int) (int64, error) {
	sum, err := memoryOf(pid)
	if err != nil {
		return 0, err
	}
	children, err := childrenOf(pid)
	if err != nil {
		return 0, err
	}
	for _, child := range children {
		if n, err := TreeMemory(child); err == nil { // else it has ended meanwhile
			sum += n
		}
	}
	return sum, nil
}

// memoryOf is the proportional set size: a page that n processes have counts for an n-th.
func memoryOf(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(data), "\nPss:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); !found || err != nil {
		return 0, fmt.Errorf("no Pss in /proc/%d/smaps_rollup", pid)
	}
	return kb << 10, nil
}

func childrenOf(pid int) ([]int, error) {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var children []int
	for _, dir := range all {
		child, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		if s, err := statOf(child); err == nil && s.parent == pid {
			children = append(children, child)
		}
	}
	return children, nil
}
