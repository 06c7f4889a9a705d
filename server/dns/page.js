'use strict';
(() => {
    const tenants = [...document.querySelectorAll('.tenant')];
    const texts = tenants.map((tenant) => tenant.dataset.find.toLowerCase());
    const search = document.querySelector('.search');
    const input = search.querySelector('input');
    const count = search.querySelector('[role=status]');
    const said = document.querySelector('.said');

    /* --- Search: each word has to be somewhere in domain, state and id --- */

    function find() {
        const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
        let shown = 0;
        tenants.forEach((tenant, i) => {
            const hit = words.every((word) => texts[i].includes(word));
            if (tenant.hidden === hit)
                tenant.hidden = !hit;
            shown += hit;
        });
        const all = tenants.length === 1 ? '1 tenant' : `${tenants.length} tenants`;
        count.textContent = words.length ? `${shown || 'None'} of ${all}` : all;
    }

    document.addEventListener('keydown', (event) => {
        if (event.key === '/' && event.target !== input &&
            !event.ctrlKey && !event.metaKey && !event.altKey) {
            event.preventDefault();
            input.focus();
            input.select();
        } else if (event.key === 'Escape' && event.target === input) {
            event.preventDefault();
            input.value = '';
            find();
        }
    });

    /* --- Copying --- */

    /* The old way, for pages from http: and browsers that refuse. */
    function copyOld(text) {
        const area = document.createElement('textarea');
        const focused = document.activeElement;
        area.value = text;
        area.className = 'aside';
        area.readOnly = true;
        document.body.append(area);
        area.select();
        let done = false;
        try {
            done = document.execCommand('copy');
        } catch { /* as good as false */ }
        area.remove();
        focused.focus({preventScroll: true});
        return done;
    }

    async function copy(text) {
        try {
            await navigator.clipboard.writeText(text);
            return true;
        } catch {
            return copyOld(text);
        }
    }

    /* Selected in full, so that the keyboard or a menu copies it. */
    function select(codes) {
        const range = document.createRange();
        const last = codes[codes.length - 1];
        range.setStart(codes[0], 0);
        range.setEnd(last, last.childNodes.length);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
    }

    function show(button, state, word, sentence) {
        const text = button.lastElementChild;
        clearTimeout(button.timer);
        button.classList.remove('copied', 'failed');
        button.classList.add(state);
        text.textContent = word;
        text.hidden = false;
        said.textContent = '';
        setTimeout(() => { said.textContent = sentence; }, 50); /* said again when it is the same */
        button.timer = setTimeout(() => {
            button.classList.remove(state);
            text.textContent = button.dataset.text;
            text.hidden = !button.dataset.text;
        }, 2500);
    }

    async function onCopy(button, codes, what) {
        if (await copy(codes.map((code) => code.textContent).join('\n'))) {
            show(button, 'copied', 'Copied', `Copied ${what}`);
        } else {
            select(codes);
            show(button, 'failed', 'Selected', `Selected ${what}; copy it with the keyboard`);
        }
    }

    function addButton(parent, codes, text, what) {
        const button = document.createElement('button');
        const icon = document.createElement('span');
        const label = document.createElement('span');
        button.type = 'button';
        button.setAttribute('aria-label', `Copy ${what}`);
        button.title = `Copy ${what}`;
        button.dataset.text = text;
        button.className = text ? '' : 'small';
        icon.className = 'icon';
        icon.ariaHidden = 'true';
        label.textContent = text;
        label.hidden = !text;
        button.append(icon, label);
        button.addEventListener('click', () => onCopy(button, codes, what));
        parent.append(button);
    }

    function addButtons(tenant) {
        const lines = [...tenant.querySelectorAll('.line code')];
        if (lines.length > 1)
            addButton(tenant.querySelector('.title'), lines, 'Copy all',
                `all records of ${tenant.querySelector('h2').textContent}`);
        for (const record of tenant.querySelectorAll('.record'))
            for (const field of record.querySelectorAll('.fields div')) {
                const whole = field.classList.contains('line');
                const name = whole ? 'record' : field.querySelector('dt').textContent;
                addButton(field.querySelector('dd'), [field.querySelector('code')],
                    whole ? 'Copy record' : '', `${name} of ${record.dataset.name}`);
            }
    }

    /* Buttons for ten thousand tenants are too many: the first hundred tenants have theirs at once,
       the others when they come near to sight. */
    const observer = new IntersectionObserver((entries) => {
        for (const entry of entries.filter((e) => e.isIntersecting)) {
            observer.unobserve(entry.target);
            addButtons(entry.target);
        }
    }, {rootMargin: '1500px'});

    tenants.slice(0, 100).forEach(addButtons);
    tenants.slice(100).forEach((tenant) => observer.observe(tenant));
    input.addEventListener('input', find);
    search.hidden = false;
    find();
})();
