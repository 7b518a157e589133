/** Customers to try a gateway with: one of each type. */
import { CustomerType } from './customer.ts';
import type { CustomerFields } from './customer.ts';

export const SAMPLES: readonly CustomerFields[] = [
  {
    username: 'premium_user',
    customerType: CustomerType.PREMIUM,
    email: 'premium@example.com',
    company: 'Premium Example Inc.',
    subscriptionTier: 'enterprise',
  },
  {
    username: 'standard_user',
    customerType: CustomerType.STANDARD,
    email: 'standard@example.com',
    company: 'Standard Example Ltd.',
    subscriptionTier: 'business',
  },
  {
    username: 'free_user',
    customerType: CustomerType.FREE,
    email: 'free@example.com',
    subscriptionTier: 'starter',
  },
];
