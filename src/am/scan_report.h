/*-------------------------------------------------------------------------
 *
 * scan_report.h
 *	  What the last scan of this backend did.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SCAN_REPORT_H
#define OMEN_SCAN_REPORT_H

#include "src/am/scan_segment.h"
#include "src/am/scan_tail.h"

extern void omen_scan_report_begin(Relation index);
extern void omen_scan_report_segment(const OmenScanSegment *segment);
extern void omen_scan_report_tail(const OmenScanTail *tail);
extern void omen_scan_report_end(int n_rounds);

#endif							/* OMEN_SCAN_REPORT_H */
