package vpopmail

// Limits is what a domain's .qmailadmin-limits or row of the table limits says of all its accounts.
type Limits struct {
	Flags Flags // what is switched off for every account without Override
}
