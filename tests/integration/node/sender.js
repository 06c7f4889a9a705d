// What Zone-MTA does before it delivers: node sender.js DOMAIN MX... prints one JSON object.
'use strict';

const { getPolicy, validateMx } = require('mailauth/lib/mta-sts');

(async () => {
    const [domain, ...hosts] = process.argv.slice(2);
    const { policy, status } = await getPolicy(domain);
    const valid = hosts.map(host => [host, validateMx(host, policy)]);
    console.log(JSON.stringify({ policy, status, error: policy.error && String(policy.error), valid }));
})();
