/*-------------------------------------------------------------------------
 *
 * maintain_worker.h
 *	  The background worker that seals and merges.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_MAINTAIN_WORKER_H
#define OMEN_MAINTAIN_WORKER_H

#include "utils/rel.h"

extern bool omen_worker_can_serve(Relation index);
extern bool omen_worker_request(Relation index, uint32 tail_id);
extern bool omen_worker_or_autovacuum(void);

extern PGDLLEXPORT void omen_worker_main(Datum arg);

#endif							/* OMEN_MAINTAIN_WORKER_H */
