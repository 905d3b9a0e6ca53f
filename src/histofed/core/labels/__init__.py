"""From what tables say of a patient to the cells of a task: rules, pure and one question a file.

================  ==================================================================
`base`            what is known of a patient; yes, no or unknown with its reason
`barcodes`        TCGA barcodes: patient, site, sample type, slide type
`variants`        mutations: non-silent, truncating, named changes of the protein
`copy_number`     discrete copy number of a gene
`numbers`         a number against a cut-off: FISH, scores
`response`        RECIST, mRECIST, IMWG; complete response after chemotherapy
`times`           survival from a time and an event, or from dates of death and follow-up
`cells`           the above as cells of the cohort table
================  ==================================================================
"""
