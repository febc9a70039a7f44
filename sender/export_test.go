package sender

// TwilioOfAnyLength is [Twilio] that takes auth tokens of any length, as in Twilio's own tests.
func TwilioOfAnyLength(secrets ...string) (*Sender, error) {
	return newTwilio(secrets, func(secret string) (key, error) { return twilioKey([]byte(secret)), nil })
}
