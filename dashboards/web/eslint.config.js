// Type-checked lint, the rules of UI.md §2 against markup from strings, and the arrows of UI.md §11 between folders.
import tseslint from 'typescript-eslint';

const markup = ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'dangerouslySetInnerHTML'];
const asText = 'Text from data is text: JSX children or textContent.';
const noImports = (folders) => ({
  'no-restricted-imports': ['error', { patterns: folders.map((f) => ({ group: [`**/${f}/*`], message: `This folder may not import ${f}/.` })) }],
});

export default tseslint.config(
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      'no-restricted-properties': ['error', ...markup.map((property) => ({ property, message: asText }))],
      'no-restricted-syntax': [
        'error',
        { selector: 'JSXAttribute[name.name="style"]', message: 'The policy forbids style attributes: classes, or CSSOM from a ref.' },
        { selector: 'JSXAttribute[name.name="dangerouslySetInnerHTML"]', message: 'Text from data is text.' },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off', // event handlers in one line
      '@typescript-eslint/no-unnecessary-condition': 'off', // answers of a server are not what types say
    },
  },
  { files: ['src/model/**'], rules: noImports(['app', 'chart', 'editor', 'ui', 'pages']) },
  { files: ['src/api/**'], rules: noImports(['app', 'chart', 'editor', 'ui', 'pages', 'model']) },
  { files: ['src/chart/**', 'src/editor/**', 'src/ui/**'], rules: noImports(['pages']) },
);
