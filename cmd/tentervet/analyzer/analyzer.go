// Package analyzer is the static check behind command tentervet, in the form that other
// drivers of golang.org/x/tools/go/analysis take, such as golangci-lint and Bazel's nogo.
//
// It reads the syntax and types of one package at a time, with what it has noted of the
// functions of imported packages (facts). It knows the package workflow by its import path, and
// imports nothing of Tenter, so it can check code that was written for any version of it.
package analyzer

import (
	"go/token"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
)

const doc = `check that workflow code is deterministic, and that steps keep to themselves

In workflow code, which is executed again on each replay, tentervet reports the clock,
random numbers, timers, goroutines, channels, locks, I/O, the environment, output, and
loops over maps that make durable calls. In steps, it reports assignments to variables of
the workflow, and uses of the workflow's context.

A comment "//lint:ignore tentervet REASON" silences its line or the one below.`

// Analyzer is the check.
var Analyzer = &analysis.Analyzer{
	Name:      "tentervet",
	Doc:       doc,
	URL:       "https://pkg.go.dev/github.com/tenter-dev/tenter/cmd/tentervet",
	Requires:  []*analysis.Analyzer{inspect.Analyzer},
	FactTypes: []analysis.Fact{new(Behavior)},
	Run:       run,
}

func run(pass *analysis.Pass) (any, error) {
	c := newCode(pass)
	if isWorkflowPackage(pass.Pkg) || c.context == nil && c.module() == "" {
		return nil, nil // what workflow code may call, and the standard library
	}
	c.findFunctions()
	c.findSteps()
	c.inspect()
	c.findWorkflows()
	c.summarize()
	c.exportBehavior()

	for _, f := range c.functions {
		if f.workflow {
			c.checkHazards(f)
			c.checkMapRanges(f)
		}
		if f.step {
			c.checkAssignments(f)
			c.checkContexts(f)
		}
	}
	c.checkDirectives()
	return nil, nil
}

// report reports a problem, unless a comment silences it.
func (c *code) report(pos token.Pos, rule, message string) {
	if !c.ignored(pos) {
		c.pass.Report(analysis.Diagnostic{Pos: pos, Category: rule, Message: message})
	}
}
