/*-------------------------------------------------------------------------
 *
 * library.h
 *	  The name by which other processes load this library.
 *
 * That of module_pathname in omenvec.control, by which the functions of the
 * extension are found: where they work, workers do, too.  The bare name would
 * be looked for in dynamic_library_path, which may leave out $libdir; the path
 * of the loaded file may be too long for bgw_library_name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_LIBRARY_H
#define OMEN_LIBRARY_H

#define OMEN_LIBRARY_NAME "$libdir/omenvec"

#endif							/* OMEN_LIBRARY_H */
