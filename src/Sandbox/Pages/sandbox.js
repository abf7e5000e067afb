// Handles private keys in the browser, so that none leaves it. Everything else works without script.
// A private key that is pasted is not sent.
document.addEventListener('submit', event => {
  for (const field of event.target.querySelectorAll('textarea'))
    if (/PRIVATE KEY|MII.{3}IBA[AD]/.test(field.value)) {
      event.preventDefault();
      field.value = '';
      document.getElementById('private').textContent =
        'That was a private key. It was not sent, and nobody here needs it. If it was shown to anybody else, make a '
        + 'new pair, register its public key, and revoke the old one.';
    }
});
// A key pair of this browser: the private key can't be taken out of it, only signed with.
const pages = document.getElementById('keys');
if (pages) (async () => {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]),
  };
  const done = request => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const opening = indexedDB.open('cancelservice-sandbox', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('keys');
  const database = await done(opening);
  const keep = (name, value) =>
    done(database.transaction('keys', 'readwrite').objectStore('keys').put(value, name));
  const find = name => done(database.transaction('keys').objectStore('keys').get(name));
  const base64 = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes)));
  const [make, send] = [document.getElementById('make'), document.getElementById('send')];
  if (pages.dataset.version) await keep('version', pages.dataset.version);
  const [key, version] = [await find('private'), await find('version')];
  make.hidden = false;
  send.hidden = !(key && version);
  make.addEventListener('submit', async event => {
    event.preventDefault();
    const pair = await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
    await keep('private', pair.privateKey);
    await keep('version', '');
    make.elements.publicKey.value = base64(await crypto.subtle.exportKey('spki', pair.publicKey));
    make.submit();
  });
  send.addEventListener('submit', async event => {
    event.preventDefault();
    const fields = send.elements;
    const id = fields.id.value;
    fields.body.value = JSON.stringify({ [id.startsWith('req-') ? 'paymentRequestId' : 'paymentId']: id });
    fields.time.value = new Date(Date.now() + Number(send.dataset.ahead)).toISOString();
    fields.version.value = version;
    const text = `POST ${send.dataset.path}\n${send.dataset.client}.${fields.time.value}.${fields.body.value}`;
    const signature = await crypto.subtle.sign(algorithm, key, new TextEncoder().encode(text));
    fields.signature.value = encodeURIComponent(base64(signature));
    send.submit();
  });
})();
