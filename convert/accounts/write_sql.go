package accounts

import (
	"context"
	"errors"
)

func (p *Plan) sql(l *List, dst Place, o Options) error { return errors.ErrUnsupported }
func (p *Plan) mysql(ctx context.Context, l *List, dst Place, o Options) error {
	return errors.ErrUnsupported
}
