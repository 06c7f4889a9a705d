// Runs dnsconfig.js from standard input with functions that only collect, and prints a JSON list of
// [zone, function, arguments, ttl].
'use strict';

const vm = require('vm');

const records = [];
const known = { TTL: seconds => ({ ttl: seconds }) };
for (const name of ['A', 'AAAA', 'CAA', 'CNAME', 'TXT'])
    known[name] = (...args) => [name, args.slice(0, -1), args[args.length - 1].ttl];
known.D_EXTEND = (zone, ...modifiers) => modifiers.forEach(m => records.push([zone, ...m]));
vm.runInNewContext(require('fs').readFileSync(0, 'utf8'), known);
console.log(JSON.stringify(records));
