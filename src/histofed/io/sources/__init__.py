"""Tables that hospitals and public studies have, one format a file.

What is in them means something by the rules of `histofed.core.labels`.

===============  ================================================================
`table`          a table of any kind: rows that know where they stand
`delimited`      CSV and TSV, packed or not, with comment lines above the header
`excel`          the first sheet of a workbook (needs openpyxl)
`parquet`        Parquet (needs pyarrow)
`cbioportal`     study folders: clinical files, case lists, gene panels
`maf`            mutations
`copy_number`    discrete copy number, wide and long
`images`         folders of images as slides
===============  ================================================================
"""

from histofed.io.sources.table import Row, Table, read_table

__all__ = ["Row", "Table", "read_table"]
