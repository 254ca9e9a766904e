/** A value of type T that has passed the check which its name stands for. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };
