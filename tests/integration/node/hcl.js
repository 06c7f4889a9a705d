// HCL on standard input as JSON: what Terraform would read, templates as they are written.
'use strict';

const { parse } = require('@cdktf/hcl2json');

parse('records.tf', require('fs').readFileSync(0, 'utf8')).then(
    parsed => console.log(JSON.stringify(parsed)),
    error => {
        console.error(String(error));
        process.exit(1);
    });
