package main

import (
	"fmt"
	"runtime/debug"
)

type versionCmd struct{}

func (c *versionCmd) Run(a *app) error {
	if a.cli.JSON {
		return a.out.json(map[string]string{"version": version()})
	}
	a.out.printf("tenter %s\n", version())
	return nil
}

// version is that of the module, or of the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v = fmt.Sprintf("devel %s", s.Value[:12])
			}
		}
	}
	return v + " (" + info.GoVersion + ")"
}
