// Package directive has comments that silence lines.
package directive

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

func silenced(ctx workflow.Context, _ string) (time.Time, error) {
	_ = time.Now() //lint:ignore tentervet nobody looks at it

	//lint:ignore tentervet nobody looks at it
	_ = time.Now()

	// A reason may be long, and stand
	//lint:ignore SA1019,tentervet for other checks too
	// in the middle.
	_ = time.Now()

	_ = time.Now() //lint:ignore tentervet its own line, and no other
	_ = time.Now() // want `time.Now gives another time`

	_ = time.Now() //lint:ignore SA1019 another check // want `time.Now gives another time`

	//lint:ignore tentervet // want `the directive has no reason, and silences nothing: //lint:ignore tentervet REASON`
	_ = time.Now() // want `time.Now gives another time`

	//lint:ignore tentervet an old one // want `the directive silences nothing: remove it`
	return workflow.Now(ctx), nil
}

func helper() time.Time {
	return time.Now() //lint:ignore tentervet for all who call it
}

func raw() time.Time { return time.Now() }

func viaRaw() time.Time {
	return raw() //lint:ignore tentervet for all who call viaRaw
}

func calls(ctx workflow.Context, _ string) (int, error) {
	_ = helper()
	_ = viaRaw()
	_ = raw() // want `raw reaches time.Now`
	_ = raw() //lint:ignore tentervet for this call
	n := 0
	return n, workflow.Do(ctx, "count", func(context.Context) error {
		n++ //lint:ignore tentervet only this step reads it
		return nil
	})
}
