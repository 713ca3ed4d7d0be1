// Build and test settings of the pages. `npm run dev` proxies the API to a daemon on its default address.
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
  },
  server: { proxy: { '/api': process.env['TOCSIN_URL'] ?? 'http://127.0.0.1:9090' } },
});
