package execution

import (
	"strconv"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
)

// Restart implements run.Scope. If the code asks more than once, the last time counts.
func (s *scope) Restart(workflow string, input []byte) error {
	x := s.x
	b, err := x.enter()
	if err != nil {
		return err
	}
	if err := s.err(); err != nil {
		return err
	}
	if err := CheckSize("the input", input, x.env.Limit); err != nil {
		return err
	}
	line := callerLine()
	if workflow != "" && workflow != x.info.Workflow {
		x.diverged = &Divergence{Unable: journal.ReasonRestartOther(x.info.Workflow, workflow, line)}
		b.parkForever()
	}
	if x.restart == nil {
		x.ask(b, &journal.Ask{Op: journal.Restart, Ref: strconv.Itoa(x.info.Generation + 1)})
	}
	x.restart = &Restart{Input: input, Caller: line}
	return run.ErrRestarting
}

// NextStart describes the generation to come.
func (x *Execution) NextStart() journal.Start {
	return journal.Start{Generation: x.info.Generation + 1, RestartAfter: x.env.RestartAfter, Took: x.TookAny()}
}

// RestartDue implements run.Scope.
func (s *scope) RestartDue() bool {
	return s.x.length() >= int64(s.x.restartAfter) || s.x.size >= journal.RestartAfterBytes
}
