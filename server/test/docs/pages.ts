/** The generated pages of docs/reference. */
import { conformance } from '../conformance.ts';
import { apiPage } from './api-page.ts';
import { errorsPage } from './errors-page.ts';

/** A page and what it should say. */
export interface Page {
  /** From the top of the checkout. */
  readonly path: string;
  readonly text: string;
}

/** All of them, as the sources of this moment want them. */
export function generatedPages(): Page[] {
  return [
    { path: 'docs/reference/api.md', text: apiPage() },
    { path: 'docs/reference/conformance.md', text: conformance().page },
    { path: 'docs/reference/errors.md', text: errorsPage() },
  ];
}
