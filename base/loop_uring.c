#include "base/loop_impl.h"

enum rc
loop_uring_init(struct loop *loop, struct err *e)
{
	(void)loop;
	return err_set(e, "0A000", BLAST_SESSION, "not built in");
}
