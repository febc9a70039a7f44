package newcomers

import (
	"context"
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// User is who is welcomed.
type User struct {
	Email string
	Name  string
}

func sendEmail(_ context.Context, to, subject, body string) error {
	addr := os.Getenv("SMTP_ADDR")
	return smtp.SendMail(addr, nil, "hello@example.com", []string{to}, []byte("Subject: "+subject+"\r\n\r\n"+body))
}

// mail sends in a step of its own.
func mail(ctx workflow.Context, user User, subject, format string, args ...any) error {
	body := fmt.Sprintf(format, args...)
	return workflow.Do(ctx, "mail: "+subject, func(ctx context.Context) error {
		return sendEmail(ctx, user.Email, subject, body)
	})
}

// Onboarding writes to a new user for a month, until she has done something.
var Onboarding = workflow.Define("onboarding", func(ctx workflow.Context, user User) (string, error) {
	active, err := workflow.NewHook[time.Time](ctx, workflow.Token("active:"+user.Email))
	if err != nil {
		return "", err
	}
	defer active.Close()

	if err := mail(ctx, user, "Welcome", "Hi %s!", user.Name); err != nil {
		return "", err
	}
	reminders := []struct {
		after   time.Duration
		subject string
	}{
		{24 * time.Hour, "Did you know?"},
		{7 * 24 * time.Hour, "We miss you"},
		{30 * 24 * time.Hour, "Last chance"},
	}
	for i, r := range reminders {
		within, cancel := workflow.WithTimeout(ctx, r.after)
		at, err := active.Wait(within)
		cancel()
		if err == nil {
			days := int(workflow.Now(ctx).Sub(at).Hours() / 24)
			return fmt.Sprintf("active after %d reminders, %d days ago", i, days), nil
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return "", err
		}
		if err := mail(ctx, user, r.subject, "Reminder %d", i+1); err != nil {
			return "", err
		}
	}
	return "lost", nil
})
