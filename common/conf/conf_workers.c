/* conf_workers - how many workers worker.count means; see conf.h. */
#include <sched.h>

#include "common/conf/conf.h"

enum { WORKERS_MIN = 2, WORKERS_MAX = 16 };     /* when worker.count is 0 */

unsigned
conf_workers(const struct conf *c)
{
	cpu_set_t cpus;
	int n = WORKERS_MIN;

	if (c->worker_count > 0)
		return (unsigned)c->worker_count;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		n = CPU_COUNT(&cpus);
	return (unsigned)MIN(MAX(n, (int)WORKERS_MIN), (int)WORKERS_MAX);
}
